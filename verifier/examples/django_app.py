"""A Django project of one file behind nginx: python django_app.py runserver"""

import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

from onecert.verifier import open_verifier
from onecert.verifier.web import ClientCertificates

LIST = Path("pki/address").read_text().strip()  # http address of the signed trust list

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY=Path("secret.key").read_text(),
    MIDDLEWARE=["onecert.verifier.web.django.CertificateMiddleware"],
    ONECERT={
        "verifier": open_verifier(Path("pki"), trust_list=LIST, application="tax"),
        "certificates": ClientCertificates(header="Client-Cert"),
    },
)
django.setup()


def hello(request):
    return HttpResponse(request.onecert_identity.id)


urlpatterns = [path("", hello)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
