"""requests-oauthlib against the presets of GATEWAY."""

import os

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session

from lines import serve

GATEWAY = os.environ["GATEWAY"]
CLIENT = (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])
session = None


def issue(scope=None):
    global session
    session = OAuth2Session(client=BackendApplicationClient(client_id=CLIENT[0], scope=scope))
    return dict(session.fetch_token(token_url=GATEWAY + "/oauth/token", auth=CLIENT))


def call(path):
    return session.get(GATEWAY + path).status_code


def refresh():
    return dict(session.refresh_token(GATEWAY + "/oauth/token", auth=CLIENT))


serve({"issue": issue, "call": call, "refresh": refresh})
