"""The operator of the trust list: drafts, two officers' signatures, publication, history."""
