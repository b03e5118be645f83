"""`python demo story` tells the whole mission once; `python demo up` starts a city for use."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Choose what to run."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    story = commands.add_parser("story", help="run the whole mission once and check every step")
    story.add_argument("--folder", type=Path, default=Path("build/demo"), help="made anew each time")
    up = commands.add_parser("up", help="start every service for use on this machine")
    up.add_argument("--data", type=Path, default=Path("data"))
    up.add_argument("--https-port", type=int, default=8443)
    up.add_argument("--http-port", type=int, default=8080)
    up.add_argument("--office-port", type=int, default=8444, help="of the example tax office")
    chosen = parser.parse_args()
    if chosen.command == "story":
        import story as told  # noqa: PLC0415

        return told.main(chosen.folder.absolute())
    import up as started  # noqa: PLC0415

    return started.main(chosen.data, chosen.https_port, chosen.http_port, chosen.office_port)


if __name__ == "__main__":
    sys.exit(main())
