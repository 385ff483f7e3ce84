"""The same as src/bin/cold-start.rs with the official client."""

import os

from sikkerkey import SikkerKey

sk = SikkerKey.bootstrap_in_memory("vault_emulator", os.environ["TOKEN"])
values = [sk.get_secret(f"sk_{n}") for n in range(4)]
assert int(sk.get_field("sk_4", "port")) == 5432
