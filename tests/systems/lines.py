"""How the tests speak with a client: a JSON line a command on standard input, and a JSON line on standard output for
what came of it, `{"value": …}` or `{"error": …}`. The first line says that the client is there."""

import json
import sys

ANSWERS = sys.stdout
# Whatever a vendor's package prints is not an answer.
sys.stdout = sys.stderr


def say(what):
    ANSWERS.write(json.dumps(what) + "\n")
    ANSWERS.flush()


def described(error):
    status = getattr(getattr(error, "response", None), "status_code", None)
    return {"name": type(error).__name__, "message": str(error), "status": status}


def serve(acts):
    """Does what is asked, one command after another, until there are no more."""
    say({"value": "ready"})
    for line in sys.stdin:
        command = json.loads(line)
        act = acts[command.pop("act")]
        try:
            say({"value": act(**command)})
        except Exception as error:  # noqa: BLE001: whatever a vendor's package raises is what came of it
            say({"error": described(error)})
