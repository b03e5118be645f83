"""Fetching over the network, for who wants it; nothing here is used by default.

``http.py`` carries out one request within limits; ``cache.py`` keeps what came fresh, in memory or in a
folder; ``trust_list_url.py`` fetches the signed trust list, ``registry_url.py`` the register that its
timestamp names, ``listed.py`` asks the list's addresses, ``following.py`` those in certificates.
"""

from onecert.verifier.fetch.addresses import ANYWHERE
from onecert.verifier.fetch.cache import FetchCache
from onecert.verifier.fetch.clock import ClockWatch
from onecert.verifier.fetch.following import FetchingValidator
from onecert.verifier.fetch.http import HttpFetch
from onecert.verifier.fetch.issuance_record_url import IssuanceRecordUrl
from onecert.verifier.fetch.listed import CrlFetcher, listed_fetch
from onecert.verifier.fetch.pointed_lists import follow_by_url
from onecert.verifier.fetch.registry_url import RegistryUrl
from onecert.verifier.fetch.rules import FetchRules, FollowRules
from onecert.verifier.fetch.transfer import Fetch, FetchAnswer, FetchRequest
from onecert.verifier.fetch.trust_list_url import TrustListUrl

__all__ = [
    "ANYWHERE",
    "ClockWatch",
    "CrlFetcher",
    "Fetch",
    "FetchAnswer",
    "FetchCache",
    "FetchRequest",
    "FetchRules",
    "FetchingValidator",
    "FollowRules",
    "HttpFetch",
    "IssuanceRecordUrl",
    "RegistryUrl",
    "TrustListUrl",
    "follow_by_url",
    "listed_fetch",
]
