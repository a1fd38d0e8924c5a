"""Aggregates as the Kinesis Producer Library writes them, for tests that need many or odd ones."""

import hashlib


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def seal(message):
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def record(key_index, data, hash_key_index=None):
    hash_key = b"" if hash_key_index is None else varint(2 << 3) + varint(hash_key_index)
    return field(3, varint(1 << 3) + varint(key_index) + hash_key + field(3, data))


def aggregate(records):
    """records: (partition key, data) pairs."""
    keys = list(dict.fromkeys(key for key, _ in records))
    message = b"".join(field(1, key.encode()) for key in keys)
    return seal(message + b"".join(record(keys.index(key), data) for key, data in records))
