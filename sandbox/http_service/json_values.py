"""JSON as the sandbox writes it: compact, on one line."""

import json

JsonObject = dict[str, object]

encode = json.JSONEncoder(separators=(",", ":")).encode
