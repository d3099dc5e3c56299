"""``python -m proof.seeded_bugs NAME -- -m MODULE …``: run a program of the application with a bug.

Without arguments it lists the bugs.
"""

import os
import runpy
import sys

import django

USAGE = "usage: python -m proof.seeded_bugs NAME -- -m MODULE [ARGUMENT …]"


def main(arguments: list[str]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from proof.seeded_bugs.registry import BUGS  # noqa: PLC0415 - needs Django's models

    match arguments:
        case []:
            for name, bug in BUGS.items():
                print(f"{name}: {bug.description}")
        case [name, "--", "-m", module, *rest] if name in BUGS:
            BUGS[name]()
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case _:
            sys.exit(f"{USAGE}; names: {', '.join(BUGS)}")


if __name__ == "__main__":
    main(sys.argv[1:])
