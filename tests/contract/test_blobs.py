"""What hashing, sealing, opening and verifying many blobs promise, held by the native kernel and by Python alike."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy import native
from argosy.errors import Damaged
from argosy.repository.encoder import BlobEncoder, EncodedBlob
from argosy.repository.opening import NativeBlobsOpener, Sealed, blobs_opener
from argosy.restic_format.blob import BlobType, PackedBlob, hash_many
from argosy.restic_format.compression import CompressionMode, Compressor, StreamCompressor
from argosy.restic_format.crypto import OVERHEAD_BYTES, MasterKey, Sealer
from argosy.restic_format.pack import decode_header, encode_header, encode_trailer
from argosy.restic_format.pack_hash import PackHash
from argosy.restic_format.pack_verifier import NativePackVerifier, pack_verifier
from tests.support.native import built_kernel

KEY = MasterKey.from_bytes(bytes(range(1, 65)))
TEXT = b"It was a dark and stormy night. " * 40
SIZES = [0, 1, 31, 55, 56, 63, 64, 65, 255, 256, 4096, 131_072, 131_073, 700_000]
contents_of_any_kind = st.lists(
    st.one_of(
        st.binary(max_size=400), st.builds(lambda part, times: part * times, st.binary(max_size=9), st.integers(0, 300))
    ),
    max_size=70,
)
patient = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["native", "python"], autouse=True)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything that is made within the test uses this implementation."""
    name: str = request.param
    monkeypatch.setattr(native, "_loaded", built_kernel() if name == "native" else None)
    monkeypatch.setattr(native, "_reason", "" if name == "native" else "a test goes without")
    assert isinstance(blobs_opener(KEY), NativeBlobsOpener) is (name == "native")
    assert isinstance(pack_verifier(KEY), NativePackVerifier) is (name == "native")
    return name


def encode_all(
    contents: list[bytes],
    mode: CompressionMode = "auto",
    *,
    verify: bool = False,
    draw: Callable[[int], bytes] = os.urandom,
) -> list[EncodedBlob]:
    """Each content sealed, in bytes of its own."""
    rows, offset = [], 0
    for content in contents:
        rows.append((offset, len(content), hashlib.sha256(content).digest()))
        offset += len(content)
    return seal_all(BlobEncoder(KEY, mode, verify=verify, draw=draw), b"".join(contents), rows)


def seal_all(encoder: BlobEncoder, data: bytes, rows: list[tuple[int, int, bytes]]) -> list[EncodedBlob]:
    """Together as far as the encoder can, the rest one by one."""
    sealed: list[EncodedBlob] = []
    room = encoder.room_for(rows)
    if room:
        place = bytearray(room)
        run = encoder.seal_many(data, rows, memoryview(place))
        listed = decode_header(run.header, "a run") if run.header else []
        assert (len(listed), sum(blob.length for blob in listed)) == (run.done, run.size_bytes)
        for blob in listed:
            piece = bytes(place[blob.offset : blob.offset + blob.length])
            sealed.append(EncodedBlob(blob.id, blob.type, piece, blob.uncompressed_length))
    for offset, length, identity in rows[len(sealed) :]:
        sealed.append(encoder.encode(BlobType.DATA, identity, data[offset : offset + length]))
    return sealed


def lay_out(blobs: list[EncodedBlob], gap: bytes = b"") -> tuple[bytes, list[Sealed]]:
    """Blobs one after the other, with a gap before each."""
    data, rows = b"", []
    for blob in blobs:
        data += gap
        rows.append((len(data), len(blob.sealed), blob.uncompressed_length, blob.id))
        data += bytes(blob.sealed)
    return data, rows


def open_all(data: bytes, rows: list[Sealed]) -> list[bytes | None]:
    opened = chain.from_iterable(blobs_opener(KEY).open_all(data, rows))
    return [None if found is None else bytes(found) for found in opened]


def random_contents(count: int = 40) -> list[bytes]:
    source = random.Random(7)
    return [source.randbytes(source.randrange(3000)) + TEXT[: source.randrange(900)] for _ in range(count)]


class TestHashing:
    @patient
    @given(contents_of_any_kind)
    def test_each_piece_has_its_own_hash(self, contents: list[bytes]) -> None:
        expected = [hashlib.sha256(content).digest() for content in contents]
        assert hash_many(b"".join(contents), list(map(len, contents))) == expected

    def test_pieces_of_every_length_about_a_block_beside_one_another(self) -> None:
        for length in range(200):
            pieces = [b"a" * length, b"b" * (199 - length), b"c" * 64]
            expected = [hashlib.sha256(piece).digest() for piece in pieces]
            assert hash_many(b"".join(pieces), list(map(len, pieces))) == expected

    @pytest.mark.parametrize("longest", [0, 70, 700, 5_000])
    def test_many_pieces_of_unequal_lengths_share_the_processor(self, longest: int) -> None:
        source = random.Random(longest)
        for count in range(90):
            pieces = [source.randbytes(source.randint(0, longest)) for _ in range(count)]
            pieces += [source.randbytes(20 * longest)] * (count % 3)
            expected = [hashlib.sha256(piece).digest() for piece in pieces]
            assert hash_many(b"".join(pieces), list(map(len, pieces))) == expected

    def test_the_standards_own_example(self) -> None:
        assert hash_many(b"abc", [3])[0].hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class TestPackHash:
    @patient
    @given(st.lists(st.tuples(st.binary(max_size=300), contents_of_any_kind), max_size=8), st.binary(max_size=300))
    def test_a_pack_that_grows_between_contents_has_the_hash_of_its_bytes(
        self, steps: list[tuple[bytes, list[bytes]]], rest: bytes
    ) -> None:
        growing, pack = PackHash(), bytearray()
        for piece, contents in steps:
            pack += piece
            expected = [hashlib.sha256(content).digest() for content in contents]
            with memoryview(pack) as whole, whole[len(pack) - len(piece) :] as new:
                assert growing.take(new, b"".join(contents), list(map(len, contents))) == expected
        pack += rest
        with memoryview(pack) as whole, whole[len(pack) - len(rest) :] as new:
            assert growing.end(new) == hashlib.sha256(pack).digest()


class TestSealing:
    @patient
    @given(contents_of_any_kind, st.sampled_from(get_args(CompressionMode)), st.booleans())
    def test_what_is_sealed_opens_again(self, contents: list[bytes], mode: CompressionMode, verify: bool) -> None:
        blobs = encode_all(contents, mode, verify=verify)
        assert open_all(*lay_out(blobs)) == contents

    @pytest.mark.parametrize("size", SIZES)
    def test_it_is_compressed_where_that_is_shorter_and_only_there(self, size: int) -> None:
        text, noise = (TEXT * (size // len(TEXT) + 1))[:size], random.Random(size).randbytes(size)
        for_text, for_noise = encode_all([text, noise])
        assert for_noise.uncompressed_length == 0
        assert len(for_noise.sealed) == size + OVERHEAD_BYTES
        if size > 200:
            assert for_text.uncompressed_length == size
            assert len(for_text.sealed) < size
        assert [blob.uncompressed_length for blob in encode_all([text, noise], "off")] == [0, 0]

    def test_every_nonce_is_drawn_and_used_once(self) -> None:
        blobs = encode_all([b"the same"] * 300)
        assert len({bytes(blob.sealed[:16]) for blob in blobs}) == 300

    def test_the_bytes_follow_from_key_nonce_and_content(self) -> None:
        """They are those of a single seal: counter mode and Poly1305-AES. (A nonce comes twice only here.)"""

        def draw(size: int) -> bytes:
            return b"\1" * size

        blobs = encode_all([b"first", b"second"], "off", draw=draw)
        assert [blob.sealed for blob in blobs] == [Sealer(KEY, draw).seal(content) for content in (b"first", b"second")]

    def test_a_nonce_of_zeros_is_never_used(self) -> None:
        blobs = encode_all([b"first", b"second"], draw=lambda size: bytes(16) + os.urandom(size - 16))
        assert all(any(blob.sealed[:16]) for blob in blobs)
        assert open_all(*lay_out(blobs)) == [b"first", b"second"]

    def test_verification_finds_a_content_that_changed_after_it_was_hashed(self) -> None:
        rows = [(0, 5, hashlib.sha256(b"right").digest()), (5, 5, hashlib.sha256(b"other").digest())]
        with pytest.raises(Damaged, match=f"{rows[1][2].hex()}.*right after it was encoded"):
            seal_all(BlobEncoder(KEY, "auto", verify=True), b"rightwrong", rows)


class TestOpening:
    def test_gaps_and_order_do_not_matter(self) -> None:
        contents = random_contents()
        data, rows = lay_out(encode_all(contents), gap=b"gap")
        assert open_all(data, rows) == contents
        assert open_all(data, rows[::-1]) == contents[::-1]
        assert open_all(data, []) == []

    @pytest.mark.parametrize("at", [0, 15, 16, 30, -17, -16, -1])
    @pytest.mark.parametrize("content", [b"short and stored", TEXT])
    def test_a_flipped_bit_spoils_its_blob_alone(self, at: int, content: bytes) -> None:
        contents = [b"before", content, b"after"]
        blobs = encode_all(contents)
        sealed = bytearray(blobs[1].sealed)
        sealed[at] ^= 0x20
        blobs[1] = EncodedBlob(blobs[1].id, BlobType.DATA, bytes(sealed), blobs[1].uncompressed_length)
        assert open_all(*lay_out(blobs)) == [b"before", None, b"after"]

    def test_what_is_not_as_told_is_refused(self) -> None:
        data, rows = lay_out(encode_all([TEXT]))
        offset, length, size, identity = rows[0]
        wrong: list[Sealed] = [
            (offset, length, size - 1, identity),
            (offset, length, size + 1, identity),
            (offset, length, 0, identity),
            (offset, length, 2**32 - 1, identity),
            (offset, length, size, hashlib.sha256(b"other").digest()),
            (offset, length - 1, size, identity),
            (offset, length + 1, size, identity),
            (offset, 31, size, identity),
            (offset, 0, size, identity),
            (length, length, size, identity),
            (2**40, length, size, identity),
        ]
        for row in wrong:
            assert open_all(data, [rows[0], row, rows[0]]) == [TEXT, None, TEXT], row

    def test_a_nonce_of_zeros_is_refused(self) -> None:
        """restic refuses it too. Its MAC would hold."""
        sealed = Sealer(KEY, os.urandom).seal(b"content")
        forged = bytes(16) + sealed[16:]
        assert open_all(forged, [(0, len(forged), 0, hashlib.sha256(b"content").digest())]) == [None]

    @pytest.mark.parametrize("cut", [1, 5, 40])
    def test_a_frame_that_ends_early_is_refused_although_its_mac_holds(self, cut: int) -> None:
        frame = Compressor("auto").compress(TEXT)[:-cut]
        sealed = Sealer(KEY, os.urandom).seal(frame)
        assert open_all(sealed, [(0, len(sealed), len(TEXT), hashlib.sha256(TEXT).digest())]) == [None]

    def test_frames_of_unusual_form_are_read(self) -> None:
        """Two frames, one after the other; one without its content's size; nothing compressed."""
        half = len(TEXT) // 2
        compress = Compressor("auto").compress
        stream = StreamCompressor(len(TEXT))
        for frame in (
            compress(TEXT[:half]) + compress(TEXT[half:]),
            stream.update(TEXT) + stream.finish(),
            compress(TEXT) + compress(b""),
        ):
            sealed = Sealer(KEY, os.urandom).seal(frame)
            assert open_all(sealed, [(0, len(sealed), len(TEXT), hashlib.sha256(TEXT).digest())]) == [TEXT]

    def test_more_than_memory_takes_at_a_time_comes_in_order(self) -> None:
        contents = [bytes([number]) * 9_000_000 for number in range(4)]
        assert open_all(*lay_out(encode_all(contents))) == contents

    def test_another_key_opens_nothing(self) -> None:
        data, rows = lay_out(encode_all([TEXT]))
        other = blobs_opener(replace(KEY, mac_r=b"\5" * 16))
        assert list(other.open_all(data, rows)) == [[None]]

    def test_threads_each_with_an_opener_do_not_disturb_one_another(self) -> None:
        contents = random_contents(300)
        data, rows = lay_out(encode_all(contents))
        found: list[bool] = []

        def work() -> None:
            found.extend(open_all(data, rows) == contents for _ in range(3))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 12


class Pack:
    """A pack in memory, and the verdict on its bytes."""

    def __init__(self, contents: list[bytes]) -> None:
        self.data, rows = lay_out(encode_all(contents))
        blobs = [PackedBlob(identity, BlobType.DATA, offset, length, size) for offset, length, size, identity in rows]
        self.end = len(self.data)
        self.data += encode_trailer(blobs, Sealer(KEY, os.urandom))
        self.id = hashlib.sha256(self.data).digest()
        self.header = encode_header(blobs)

    def is_sound(self, data: bytes, header: bytes | None = None, piece_bytes: int = 50_000) -> bool:
        verifier = pack_verifier(KEY)
        header = self.header if header is None else header
        pieces = verifier.pieces(header, piece_bytes)
        taken = [verifier.take(data[piece.offset : piece.offset + piece.length], piece) for piece in pieces]
        return bool(taken) and all(taken) and verifier.finish(data[self.end :], header, self.id)


class TestVerifyingAPack:
    @pytest.mark.parametrize("piece_bytes", [1, 5_000, 2**40])
    def test_a_sound_one_holds_in_pieces_of_any_size(self, piece_bytes: int) -> None:
        pack = Pack([*random_contents(), b"", TEXT * 100])
        assert pack.is_sound(pack.data, piece_bytes=piece_bytes)

    def test_pieces_are_whole_blobs_without_gaps(self) -> None:
        pack = Pack(random_contents(100))
        pieces = pack_verifier(KEY).pieces(pack.header, 10_000)
        assert b"".join(piece.header for piece in pieces) == pack.header
        assert [piece.offset for piece in pieces[1:]] == [piece.offset + piece.length for piece in pieces[:-1]]
        assert (pieces[0].offset, pieces[-1].offset + pieces[-1].length) == (0, pack.end)
        assert max(piece.length for piece in pieces) <= 10_000

    def test_any_flipped_byte_is_found(self) -> None:
        pack = Pack([b"one", TEXT, b"", random.Random(1).randbytes(300)])
        for at in range(len(pack.data)):
            damaged = bytearray(pack.data)
            damaged[at] ^= 0x40
            assert not pack.is_sound(bytes(damaged)), at

    def test_a_pack_that_is_cut_short_or_goes_on_is_found(self) -> None:
        pack = Pack([TEXT, b"last"])
        for data in (pack.data[:-1], pack.data[: pack.end], pack.data[: pack.end // 2], b"", pack.data + b"\0"):
            assert not pack.is_sound(data)

    def test_a_header_that_is_malformed_or_another_ones_is_found(self) -> None:
        pack = Pack([TEXT, b"last"])
        headers = (b"", pack.header[:-1], b"\4" + pack.header[1:], pack.header[41:], pack.header + b"\0" * 37)
        for header in (*headers, pack.header[:5] + b"\xff\xff\xff\xff" + pack.header[9:]):
            assert not pack.is_sound(pack.data, header)

    def test_damage_in_one_piece_leaves_the_packs_hash_as_its_bytes_have_it(self) -> None:
        """The blob's id in the index is wrong, the bytes are right: the hash of the pack must say so."""
        pack = Pack([TEXT, b"last"])
        verifier = pack_verifier(KEY)
        pieces = verifier.pieces(pack.header, 1)
        other = pieces[0]._replace(header=bytes(pieces[0].header[:-1]) + b"?")
        assert not verifier.take(pack.data[: other.length], other)
        assert verifier.take(pack.data[other.length : pack.end], pieces[1])
        assert verifier.finish(pack.data[pack.end :], pack.header, pack.id)

    def test_one_verifier_takes_pack_after_pack(self) -> None:
        verifier = pack_verifier(KEY)
        for pack in (Pack([TEXT]), Pack(random_contents())):
            for piece in verifier.pieces(pack.header, 5_000):
                assert verifier.take(pack.data[piece.offset : piece.offset + piece.length], piece)
            assert verifier.finish(pack.data[pack.end :], pack.header, pack.id)
