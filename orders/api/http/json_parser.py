"""Strict JSON request bodies (RFC 7493)."""

import json
import re
import sys
from collections.abc import Mapping
from typing import IO, Any, Final, NoReturn

from django.http import UnreadablePostError
from rest_framework.parsers import BaseParser

from orders.api.http.problems import incomplete_body, malformed_request

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class StrictJSONParser(BaseParser):
    """Refuses what JSON libraries read differently: duplicate keys, NaN, lone surrogates.

    REST framework's JSONParser refuses NaN only. ``BodyLimitMiddleware`` has limited the length.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - REST framework's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        try:
            text = stream.read().decode()
            value = json.loads(
                text, parse_constant=_refuse_constant, object_pairs_hook=_object_without_duplicates
            )
            if _SURROGATE.search(text):  # perhaps a pair, which is allowed
                json.dumps(value, ensure_ascii=False).encode()
        except UnreadablePostError as error:
            raise incomplete_body(error.__cause__) from None
        except UnicodeEncodeError:
            raise malformed_request("A text has half of a surrogate pair.") from None
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise malformed_request("The body is not JSON in UTF-8.") from None
        except RecursionError:
            raise malformed_request("Lists and objects are nested too deeply to be read.") from None
        except ValueError:  # int() refuses so many digits
            max_digits = sys.get_int_max_str_digits()
            raise malformed_request(
                f"A whole number has more than {max_digits:,} digits."
            ) from None
        return value


def _refuse_constant(constant: str) -> NoReturn:
    raise malformed_request(f"{constant} is not JSON.")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise malformed_request("An object has the same key twice.")
    return value
