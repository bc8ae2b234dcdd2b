"""What a browser and its push service do with a push: the one opens it, the other checks who sent it."""
import base64, json, sys

import http_ece
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils


def raw(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


task = json.load(sys.stdin)
browser = ec.derive_private_key(int.from_bytes(raw(task["browser"]), "big"), ec.SECP256R1())
plain = http_ece.decrypt(raw(task["body"]), private_key=browser, auth_secret=raw(task["auth"]), version="aes128gcm")

signed, _, signature = task["token"].rpartition(".")
r, s = (int.from_bytes(half, "big") for half in (raw(signature)[:32], raw(signature)[32:]))
name = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw(task["name"]))
name.verify(utils.encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))
header, claims = (json.loads(raw(part)) for part in signed.split("."))
assert header == {"typ": "JWT", "alg": "ES256"}, header
json.dump({"plain": json.loads(plain), "claims": claims}, sys.stdout)
