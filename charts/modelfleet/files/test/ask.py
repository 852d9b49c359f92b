"""Ask the test model through a gateway until it answers: twice a number plus one."""

import json
import sys
import time
import urllib.request

URL, HOST = sys.argv[1:]
PATIENCE_SECONDS = 240
QUESTION = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1.0, 2.0, 3.0]}
ANSWER = [3.0, 5.0, 7.0]

end = time.monotonic() + PATIENCE_SECONDS
said = ""
while time.monotonic() < end:
    body = json.dumps({"inputs": [QUESTION]}).encode()
    request = urllib.request.Request(URL, body, {"Host": HOST})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            found = json.load(response)["outputs"][0]["data"]
    except OSError as error:
        said = str(error)
        print(f"not yet: {said}", flush=True)
        time.sleep(2)
        continue
    print(f"the model answered {found}", flush=True)
    sys.exit(0 if found == ANSWER else f"it should have answered {ANSWER}")
sys.exit(f"no answer within {PATIENCE_SECONDS} s: {said}")
