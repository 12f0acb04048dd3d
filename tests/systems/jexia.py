"""jexia-sdk, against GATEWAY: the only place where it looks for the host is a table of its module."""

import os

import jexia_sdk.http

from lines import serve

jexia_sdk.http.URLS["consumption"] = os.environ["GATEWAY"]
client = jexia_sdk.http.HTTPClient()


def sign_in(**how):
    client.auth_consumption(project="shop", **how)
    return client.is_authenticated()


def read(set):
    return client.request("GET", "/ds/" + set)


def insert(set, record):
    return client.request("POST", "/ds/" + set, data=[record])


def tokens():
    return {"access_token": client._access_token, "refresh_token": client._refresh_token}


serve({"signIn": sign_in, "read": read, "insert": insert, "tokens": tokens})
