"""`make up`: the whole system in one process on this machine, with people to sign in as."""

import csv
from pathlib import Path

from city import HERE, City
from commands import Process

# Role as operators.csv has it -> what the person does here.
PEOPLE = [
    ("ra", "clerk1", "第一受理员", "first clerk"),
    ("ra", "clerk2", "第二受理员（复核）", "second clerk, reviews"),
    ("ra", "security1", "安全人员", "security officer"),
    ("pmi", "attribute1", "属性机构人员", "attribute-authority officer"),
    ("pmi", "attribute2", "属性机构复核", "approves roles"),
    ("supervision", "editor-1", "信任列表编辑", "trust-list editor"),
    ("supervision", "officer-1", "信任列表官员", "trust-list officer"),
    ("supervision", "officer-2", "信任列表官员（第二人）", "trust-list officer, the second"),
    ("ra", "auditor1", "审计员", "auditor"),
]


def main(data: Path, https_port: int, http_port: int, office_port: int) -> int:
    """Set the city up at first start, serve until stopped, and say where to go."""
    city = City(data, https_port=https_port, http_port=http_port)
    if not city.is_set_up():
        print(f"第一次启动，正在建立演示城市：{city.data}")
        print(f"first start, setting a demonstration city up in {city.data}")
    city.set_up(lambda en, zh: print(f"  … {zh} {en}", flush=True))
    services = city.start()
    office = city.open_office(office_port)
    names = {
        (row["service"], row["id"]): row["name"]
        for row in csv.DictReader((HERE / "operators.csv").open(encoding="utf-8"))
    }
    print(
        f"\n{city.https}/  页面 pages      {city.http}/  CRL, OCSP, CA 证书 certificates, 信任列表 trust list"
    )
    print(
        f"{office.urls[0]}/  示例税务局：用证书登录、签名申报 example tax office: sign in, sign a declaration"
    )
    print(f"浏览器请导入 import into the browser: {city.papers / 'operations-root.pem'}")
    print(f"根密钥持有人带走此文件夹 the root holders take this folder away: {city.offline_root}")
    print("\n一次性登录链接（24 小时内有效，只能用一次，只能在本机用）")
    print("one-time sign-in links (24 hours, once, on this machine only)\n")
    for service, operator, zh, en in PEOPLE:
        link = city.command("operators", "link", service, operator).strip().splitlines()[-1]
        print(f"  {names[service, operator]}  {zh} {en}\n    {link}")
    print("\n信任列表官员签署时输入的 PIN  the PINs that officers of the trust list type to sign\n")
    for officer in ("officer-1", "officer-2"):
        print(f"  {names['supervision', officer]}  {city.officer_pin(officer)}")
    print("\n新的链接 a new link:  .venv/bin/onecert operators link ra clerk1" + f" --data {data}")
    print("停止 stop:  Ctrl-C", flush=True)
    try:
        return wait(services)
    finally:
        office.stop()


def wait(services: Process) -> int:
    """Serve until Ctrl-C or SIGTERM; a stop signs the audit heads."""
    import signal  # noqa: PLC0415

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        return services.wait()
    except KeyboardInterrupt:
        return services.stop()
