"""The proofs in tests/vectors/secrets.json, made again with another HMAC than that of the library."""

import hashlib
import hmac
import json
import unittest
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "vectors" / "secrets.json"


class Secrets(unittest.TestCase):
    def test_the_proofs_are_what_the_page_says(self) -> None:
        vectors = json.loads(FILE.read_text(encoding="utf-8"))["secrets"]
        self.assertGreaterEqual(len(vectors), 3)
        for vector in vectors:
            hellos = bytes.fromhex(vector["client_hello"] + vector["server_hello"])
            self.assertEqual(len(hellos), 120)
            for side in ("client", "server"):
                with self.subTest(vector["name"], side=side):
                    text = b"ferrule 1 " + side.encode() + hellos
                    key = hashlib.sha256(bytes.fromhex(vector["secret"])).digest()
                    proof = hmac.new(key, text, hashlib.sha256)
                    self.assertEqual(proof.hexdigest(), vector[side + "_proof"])


if __name__ == "__main__":
    unittest.main()
