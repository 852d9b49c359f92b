"""How an endpoint is spelt: the same by operator, agents and Envoy, or they never agree."""


def endpoint_of(address: str, port: int) -> str:
    """`ip:port`, with brackets around an IPv6 address.

    Worked example: ('fd00::5', 8080) is '[fd00::5]:8080'.
    """
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
