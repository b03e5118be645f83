from pathlib import Path

from flask import Flask

from onecert.verifier import open_verifier
from onecert.verifier.web.flask import OneCert

LIST = Path("pki/address").read_text().strip()  # http address of the signed trust list
app = Flask(__name__)
app.secret_key = Path("secret.key").read_bytes()
onecert = OneCert(app, verifier=open_verifier(Path("pki"), trust_list=LIST, application="tax"))


@app.get("/")
@onecert.required
def home() -> str:
    return f"{onecert.holder.name} {onecert.holder.id}"
