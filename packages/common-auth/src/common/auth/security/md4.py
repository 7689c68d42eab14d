"""MD4 (RFC 1320), for NTLM hashes alone: lists of breached passwords come in that form too.

MD4 is broken and protects nothing here. OpenSSL 3 no longer offers it by default, hence these forty lines.
"""

import struct
from typing import Final

__all__ = ["md4"]

_MASK: Final = 0xFFFFFFFF
_BLOCK: Final = 64
_START: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_ROUNDS: Final = (
    (0x00000000, (3, 7, 11, 19), tuple(range(16))),
    (0x5A827999, (3, 5, 9, 13), (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)),
    (0x6ED9EBA1, (3, 9, 11, 15), (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15)),
)
"""For each round: the constant, the rotations, and the order of the words (RFC 1320, section 3.4)."""


def md4(message: bytes) -> bytes:
    """Return the 16 bytes of the digest.

    >>> md4(b"abc").hex()
    'a448017aaf21d8525fc10ae87aa6729d'
    """
    padded = message + b"\x80" + b"\0" * (-(len(message) + 9) % _BLOCK) + struct.pack("<Q", len(message) * 8)
    state = _START
    for start in range(0, len(padded), _BLOCK):
        words = struct.unpack("<16I", padded[start : start + _BLOCK])
        state = _compressed(state, words)
    return struct.pack("<4I", *state)


def _compressed(state: tuple[int, int, int, int], words: tuple[int, ...]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for number, (constant, rotations, order) in enumerate(_ROUNDS):
        for step, word in enumerate(order):
            mixed = (a + _mixed(number, b, c, d) + words[word] + constant) & _MASK
            shift = rotations[step % 4]
            a, b, c, d = d, (mixed << shift | mixed >> (32 - shift)) & _MASK, b, c
    return (
        (state[0] + a) & _MASK,
        (state[1] + b) & _MASK,
        (state[2] + c) & _MASK,
        (state[3] + d) & _MASK,
    )


def _mixed(number: int, x: int, y: int, z: int) -> int:
    if number == 0:
        return (x & y) | (~x & z)
    return (x & y) | (x & z) | (y & z) if number == 1 else x ^ y ^ z
