"""The canonical form of email addresses: one address, one text, so that one lock item keeps it unique."""

import re
from typing import Final

from common.core.validation.refusals import invalid

_ATEXT = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
EMAIL_PATTERN: Final = re.compile(rf"(?=[^@]{{1,64}}@){_ATEXT}(?:\.{_ATEXT})*@(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}")
"""A canonical address: a dot-string, ``@``, and a domain of at least two labels (RFC 5321, section 4.1.2)."""
EMAIL_LENGTH: Final = 254
"""The longest address that fits a path of 256 octets with its angle brackets (RFC 5321, section 4.5.3.1.3)."""


def canonical_email(address: str, *, pointer: str = "") -> str:
    """Return *address* in lower case, after checking it against a narrow grammar.

    The whole address is lower-cased. RFC 5321 leaves the case of the local part to the receiving host; hosts that tell
    ``A@`` from ``a@`` are not served, so that nobody registers one mailbox twice.

    Not covered, and refused: quoted local parts, comments, address literals, domains without a dot, Unicode on either
    side (write the domain in its ``xn--`` form). Not covered, and kept as given: a provider's own aliases, such as
    ``+tag`` or the dots that one provider ignores. Whether the mailbox exists is for a confirmation mail to find out.

    Args:
        address: What the user typed; not trimmed.
        pointer: Where it stood in the input, for the error.

    Raises:
        InvalidInput: *address* does not have this form, or is longer than 254 characters.

    >>> canonical_email("Alice+News@Example.COM")
    'alice+news@example.com'
    """
    if isinstance(address, str) and len(address) <= EMAIL_LENGTH and address.isascii():
        canonical = address.lower()
        if EMAIL_PATTERN.fullmatch(canonical):
            return canonical
    raise invalid("email", "Use an address such as name@example.org: ASCII, without quotes or spaces.", pointer)
