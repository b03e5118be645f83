"""No input makes two holders one, and nothing leaves but our errors: random profiles and certificates.

The ordinary run draws some thousand scenes from fixed seeds. ``IDENTITY_SCENES=200000`` draws more, and
``IDENTITY_SEED`` others; a failure names the seed of its scene.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random

from identity_scenes import Scene, T, draw_scene, must_accept, verdict_allowed

from onecert.verifier.errors import VerifyError
from onecert.verifier.identity import Identity, PersonRule, identify

SCENES = int(os.environ.get("IDENTITY_SCENES", "3000"))
SEED = int(os.environ.get("IDENTITY_SEED", "0"))
RAW = PersonRule(application="tax", raw_numbers=True)


def answer(scene: Scene) -> Identity | VerifyError:
    try:
        return identify(scene.der, scene.profile, ca_service="ca", at=T, persons=RAW, registry=scene.register)
    except VerifyError as error:
        return error


def test_every_answer_is_one_that_what_was_written_allows() -> None:
    """Whoever is named has the numbers that were written; who has two owners' numbers is refused."""
    seen: Counter[str] = Counter()
    for number in range(SCENES):
        seed = f"{SEED}/{number}"
        scene = draw_scene(Random(seed))
        found = answer(scene)
        if isinstance(found, VerifyError):
            seen[found.code] += 1
            assert not must_accept(scene), (seed, found, scene)
            continue
        seen[f"accepted {found.id.partition(':')[0]}"] += 1
        assert verdict_allowed(scene, found) == "", (seed, found, scene)
    if SCENES > 3000:
        print(dict(seen.most_common()))
    wanted = {"accepted uscc", "accepted org", "accepted regno", "accepted idcard", "accepted passport"}
    wanted |= {"accepted officer", "IDENTITY_CONFLICT", "OUT_OF_SCOPE", "SOURCE_MISSING", "CLASS_CONFLICT"}
    wanted |= {"CLASS_UNKNOWN", "IDENTITY_MISSING", "ENCODING_NOT_ALLOWED", "UID_GRAMMAR", "ID_CHARACTER"}
    assert wanted <= seen.keys()
    assert sum(count for name, count in seen.items() if name.startswith("accepted")) > SCENES // 4
