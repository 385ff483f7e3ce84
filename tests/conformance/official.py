"""Plays calls on the official SikkerKey client, one line of JSON in, one line of JSON out.

`tests/tests/conformance.rs` starts this beside `conformance-client` (the same program in Rust) and
compares the answers. A line is {"op": name, ...}; the answer is {"ok": value} or
{"error": kind, "status": n or null}, where kinds have the names of Rust's `ErrorKind`.

Time, sleep and randomness of the official client come in through `Seam`, so that a clock can be
wrong, a nonce can repeat, and a retry takes no time.
"""

import json
import queue
import random
import secrets
import sys
import time

import sikkerkey.client as module
from sikkerkey import SikkerKey

KINDS = {
    "ConfigurationError": "Configuration",
    "SecretStructureError": "SecretStructure",
    "FieldNotFoundError": "FieldNotFound",
    "AuthenticationError": "Authentication",
    "AccessDeniedError": "AccessDenied",
    "NotFoundError": "NotFound",
    "ConflictError": "Conflict",
    "RateLimitedError": "RateLimited",
    "ServerSealedError": "Unavailable",
}


class Seam:
    """Stands in for the modules `time` and `secrets` inside the official client."""

    def __init__(self):
        self.ahead = 0
        self.nonce = None
        self.slept = []

    def time(self):
        return time.time() + self.ahead

    def sleep(self, seconds):
        self.slept.append(seconds)

    def token_bytes(self, count):
        return self.nonce or secrets.token_bytes(count)


class Driver:
    def __init__(self):
        self.seam = Seam()
        module.time = self.seam
        module.secrets = self.seam
        self.client = None
        self.events = queue.Queue()
        self.fallbacks = []

    # Clients

    def open(self, vault=None):
        self.client = SikkerKey(vault)
        return self.facts()

    def bootstrap(self, vault, token, hostname=None, name=None):
        self.client = SikkerKey.bootstrap_in_memory(vault, token, hostname=hostname, name=name)
        return self.facts()

    def facts(self):
        c = self.client
        return {
            "machine_id": c.machine_id,
            "machine_name": c.machine_name,
            "vault_id": c.vault_id,
            "api_url": c.api_url,
        }

    def list_vaults(self):
        return SikkerKey.list_vaults()

    # Reads

    def get_secret(self, id):
        return self.client.get_secret(id)

    def get_fields(self, id):
        return self.client.get_fields(id)

    def get_field(self, id, field):
        return self.client.get_field(id, field)

    def list_secrets(self):
        return [item(s) for s in self.client.list_secrets()]

    def list_secrets_by_project(self, project):
        return [item(s) for s in self.client.list_secrets_by_project(project)]

    def export(self, project=None):
        return self.client.export(project)

    # Watches

    def watch(self, id):
        self.client.watch(id, lambda event: self.events.put(event))

    def unwatch(self, id):
        self.client.unwatch(id)

    def set_poll_interval(self, seconds):
        self.client.set_poll_interval(seconds)

    def quick_polls(self):
        # `set_poll_interval` raises this to the service's 10 s; an emulator has no such limit.
        self.client._poll_interval = 0.02

    def next_event(self):
        event = self.events.get(timeout=20)
        return {
            "id": event.secret_id,
            "status": event.status.value,
            "value": event.value,
            "fields": event.fields,
        }

    def close(self):
        self.client.close()

    # Cache

    def enable_cache(self, max_age=None):
        told = lambda id, cached_at: self.fallbacks.append([id, isinstance(cached_at, int)])
        self.client.enable_cache(max_age=max_age, on_fallback=told)

    def fallbacks_told(self):
        return self.fallbacks

    def cached_count(self):
        from sikkerkey.cache import count_cache

        return count_cache(self.client.vault_id)

    def clear_cache(self):
        from sikkerkey.cache import clear_cache

        clear_cache(self.client.vault_id)

    # What differs from one run to the next

    def clock_ahead(self, seconds):
        self.seam.ahead = seconds

    def fix_nonce(self, seed):
        self.seam.nonce = random.Random(seed).randbytes(16)

    def free_nonce(self):
        self.seam.nonce = None

    def delays(self):
        """Whole seconds slept between attempts since last asked."""
        slept, self.seam.slept = self.seam.slept, []
        return [round(s) for s in slept]


def item(secret):
    return {
        "id": secret.id,
        "name": secret.name,
        "field_names": secret.field_names,
        "project_id": secret.project_id,
    }


def failure(error):
    name = type(error).__name__
    kind = KINDS.get(name)
    status = getattr(error, "http_status", None)
    if name == "ApiError":
        kind = "Network" if status == 0 else "Api"
    answer = {"error": kind or "python's " + name, "status": status or None}
    if kind == "FieldNotFound":
        answer["available"] = str(error).split("Available: ")[1].split(", ")
    return answer


def main():
    driver = Driver()
    for line in sys.stdin:
        call = json.loads(line)
        op = call.pop("op")
        try:
            answer = {"ok": getattr(driver, op)(**call)}
        except Exception as error:
            answer = failure(error)
        print(json.dumps(answer), flush=True)


main()
