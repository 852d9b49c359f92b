"""What was learned of the policy goes whole into the status of one version, alone."""

from modelfleet.facts.identity import Key
from modelfleet.facts.plan import PolicyLearned
from modelfleet.kube.apply import Applier
from modelfleet.kube.store import Store

KEY = Key("team-a", "digits")


class Client:
    """Remembers the patch."""

    async def patch(self, path: str, body: dict, **_: object) -> dict:
        self.path, self.body = path, body
        return {"metadata": {"name": "digits-v1", "uid": "u", "resourceVersion": "2"}}


async def test_patch_names_the_object_and_removes_what_is_no_more():
    versions, client = Store(), Client()
    meta = {"namespace": "team-a", "name": "digits-v1", "uid": "u", "resourceVersion": "1"}
    old = {"format": 1, "riskPerMillion": 9000, "slots": 4, "coefficients": "A"}
    versions.put({"metadata": meta, "status": {"outcome": "Stable", "learned": old}})
    applier = Applier(client, {"MLModelVersion": versions}, lambda: True)
    new = {"format": 1, "riskPerMillion": 6000, "coefficients": "B"}
    await applier.note_policy(KEY, PolicyLearned("digits-v1", "u", new))
    assert client.path.endswith("/digits-v1/status")
    assert client.body == {
        "metadata": {"uid": "u"},
        "status": {
            "learned": {"riskPerMillion": 6000, "slots": None, "coefficients": "B"},
        },
    }
