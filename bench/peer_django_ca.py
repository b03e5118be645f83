"""django-ca as a peer: its REST API under gunicorn with TLS, SQLite, the CA's key in a file.

It stands in an environment of its own, which `deploy/peers.sh` makes from `requirements/bench.txt`. Set in
its favour: writers begin at once (its default answers "database is locked"), write-ahead log, two processes
of two threads that keep connections, a password hash that costs nothing, no Celery: the certificate is made
in the request. Durable like ours: synchronous=FULL. The client does not fetch the certificate afterwards.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import place
import traffic

NAME = "django-ca 3.2 REST, gunicorn 2 × 2, SQLite, key in a file"
_USER, _PASSWORD = "bench", "bench"
_SETTINGS = """
from pathlib import Path
FOLDER = Path(__file__).parent
SECRET_KEY = "of a server that lives for one measurement"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "bench_urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages", "django.contrib.admin", "django_object_actions", "django_ca",
]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
    "context_processors": ["django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]}}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db.sqlite3",
    "CONN_MAX_AGE": None, "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"}}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "django-ca": {"BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(FOLDER / "keys")}},
}
CA_DEFAULT_HOSTNAME = "127.0.0.1"
CA_ENABLE_REST_API = True
CA_USE_CELERY = False
CA_DEFAULT_SUBJECT = []
"""
_URLS = """
from django.urls import include, path
urlpatterns = [path("django_ca/", include("django_ca.urls"))]
"""
_SETUP = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("init_ca", "bench", "CN=bench", key_type="EC", elliptic_curve="secp256r1")
from django.contrib.auth import get_user_model
from django_ca.models import CertificateAuthority
get_user_model().objects.create_superuser("bench", "bench@example.com", "bench")
CertificateAuthority.objects.update(api_enabled=True)
print(CertificateAuthority.objects.get().serial)
"""


def find() -> Path | None:
    """The Python of the peers' environment, if it was made."""
    python = place.ROOT / ".tools" / "peers" / "bin" / "python"
    return python if python.exists() else None


@contextmanager
def django_ca(python: Path) -> Iterator[tuple[traffic.Client, str]]:
    """A server that is set up, and the path where it signs."""
    folder = place.new_folder("django-ca")
    traffic.make_ca(folder)  # for TLS alone
    (folder / "bench_settings.py").write_text(_SETTINGS)
    (folder / "bench_urls.py").write_text(_URLS)
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = keep | {"DJANGO_SETTINGS_MODULE": "bench_settings", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [str(python), "-c", _SETUP],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"django-ca was not set up: {done.stderr[-2000:]}")
    serial = done.stdout.split()[-1]
    port = traffic.free_port()
    command = [str(python), "-m", "gunicorn", "--bind", f"{traffic.HOST}:{port}", "--worker-class", "gthread"]
    command += ["--workers", "2", "--threads", "2", "--keep-alive", "60", "--log-level", "warning"]
    command += ["--certfile", "ca.pem", "--keyfile", "ca.key", "django.core.wsgi:get_wsgi_application()"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    with traffic.stopping(process):
        traffic.wait_for(port, process)
        yield traffic.Client(port, folder / "ca.pem"), f"/django_ca/api/ca/{serial}/sign/"


def request(client: traffic.Client, path: str, csr_pem: str) -> bytes:
    """One order, as its documentation would have it."""
    name = {"oid": "2.5.4.3", "value": "example"}
    body = json.dumps({"csr": csr_pem, "subject": [name], "profile": "client"}).encode()
    who = base64.b64encode(f"{_USER}:{_PASSWORD}".encode()).decode()
    return client.request(path, body, "application/json", f"Authorization: Basic {who}")
