"""The signature of an authority: algorithms by key, the one place where a key is used, tokens."""
