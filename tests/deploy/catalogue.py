"""The settings that `cascade` knows, read where they are declared, so that the deploy kit cannot name one that is gone."""

import re
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "services/cascade/src/config/catalogue.rs"
KEYS = set(re.findall(r'\bsetting\(\s*"([^"]+)"', SOURCE.read_text()))
OPEN = ("kafka.", "channel.")


def knows(key):
    return key in KEYS or key.startswith(OPEN)


def knows_variable(name):
    """Whether an environment variable is a setting of ours; those of others are not judged."""
    variables = {"CASCADE_" + re.sub(r"[.-]", "_", key).upper() for key in KEYS}
    ours = name in variables or name == "CASCADE_CONFIG" or name.startswith(("CASCADE_KAFKA_", "CASCADE_CHANNEL_"))
    return ours or not name.startswith("CASCADE_")


def flat(table, prefix=""):
    """Dotted keys of a nested table."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
