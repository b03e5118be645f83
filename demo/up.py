"""`make up`: the whole system in one process on this machine, with people to sign in as."""

import csv
from pathlib import Path

from city import HERE, TIMESTAMPS, City
from commands import Process

# Role as operators.csv has it -> what the person does here.
PEOPLE = [
    ("ra", "clerk1", "第一受理员", "first clerk"),
    ("ra", "clerk2", "第二受理员（复核）", "second clerk, reviews"),
    ("ra", "clerk3", "第二复核员", "second reviewer"),
    ("ra", "media1", "制证员", "media clerk: keys, tokens, handing over"),
    ("ra", "archive1", "档案管理员", "archive clerk"),
    ("ra", "security1", "安全人员", "security officer"),
    ("ra", "security2", "安全人员（第二人）", "security officer, the second"),
    ("ra", "admin1", "管理员", "administrator: points, operators"),
    ("ra", "admin2", "管理员（第二人）", "administrator, the second"),
    ("ca", "chen", "CA 安全员", "security officer of the CA"),
    ("ca", "zhou", "CA 安全员（第二人）", "security officer of the CA, the second"),
    ("pmi", "attribute1", "属性权威人员", "officer of the attribute authorities"),
    ("pmi", "attribute2", "属性权威复核", "approves grants"),
    ("pmi", "administrator1", "属性权威主管", "administrator of authorities and delegations"),
    ("pmi", "administrator2", "属性权威主管（第二人）", "administrator, the second"),
    ("supervision", "editor-1", "信任列表编辑", "trust-list editor"),
    ("supervision", "officer-1", "信任列表官员", "trust-list officer"),
    ("supervision", "officer-2", "信任列表官员（第二人）", "trust-list officer, the second"),
    ("ra", "auditor1", "审计员", "auditor"),
]

# Who types a PIN to sign.
PIN_HOLDERS = (("ca", "chen"), ("ca", "zhou"), ("supervision", "officer-1"), ("supervision", "officer-2"))


def main(data: Path, https_port: int, http_port: int, office_port: int) -> int:
    """Set the city up at first start, serve until stopped, and say where to go."""
    city = City(data, https_port=https_port, http_port=http_port, asks_register=True)
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
    for title, rows in places(city, office.urls[0]):
        print(f"\n{title}\n")
        for place, zh, en in rows:
            print(f"  {place}\n      {zh}  {en}")
    print("\n一次性登录链接（24 小时内有效，只能用一次，只能在本机用）")
    print("one-time sign-in links (24 hours, once, on this machine only)\n")
    for service, operator, zh, en in PEOPLE:
        link = city.command("operators", "link", service, operator).strip().splitlines()[-1]
        print(f"  {names[service, operator]}  {zh} {en}\n    {link}")
    print("\n官员签署时输入的 PIN  the PINs that officers type to sign\n")
    for service, officer in PIN_HOLDERS:
        print(f"  {names[service, officer]}  {city.officer_pin(officer)}")
    print("\n新的链接 a new link:  .venv/bin/onecert operators link ra clerk1" + f" --data {data}")
    print("停止 stop:  Ctrl-C", flush=True)
    try:
        return wait(services)
    finally:
        office.stop()


def places(city: City, office: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """What is where: title -> place, what it is in Chinese, in English."""
    supervision, papers = f"{city.http}/supervision", city.papers
    pages = [
        (f"{city.https}/ra/", "申请、审核、证书、注销", "applications, review, certificates, revocation"),
        (
            f"{city.https}/ca/",
            "证书机构：总览、查找、冻结、批量注销、演练",
            "the CA: search, hold, revoke, drills",
        ),
        (
            f"{city.https}/pmi/",
            "角色的授予与注销、授权委派、离任",
            "roles, delegations, ends of office",
        ),
        (
            f"{city.https}/supervision/",
            "信任列表：现状、编辑、签署、历史",
            "the trust list: edit, sign, history",
        ),
        (f"{office}/", "示例税务局：用证书登录、签名申报", "example tax office: sign in, sign a declaration"),
        (
            f"{office}/reviews",
            "官员批准申报，由属性证书和策略决定",
            "officials approve by privilege",
        ),
        (f"{office}/check", "核验证据记录，无需登录", "check an evidence record, without signing in"),
    ]
    public = [
        (f"{supervision}/trust-list.json", "签名的信任列表，及其时间戳和信任根", "the signed trust list"),
        (f"{supervision}/registry.json", "法人库快照", "the snapshot of the register of legal entities"),
        (
            f"{supervision}/bundle.zip",
            "离线包，供没有网络的部门",
            "the bundle for departments without network",
        ),
        (f"{city.http}/ca/{TIMESTAMPS}/tsa", "时间戳服务（RFC 3161）", "the timestamp authority (RFC 3161)"),
        (f"{city.http}/ca/…", "CRL、OCSP、CA 证书", "CRL, OCSP, CA certificates"),
    ]
    files = [
        (
            f"{papers / 'trust-root.json'}",
            "发给每个部门的信任根",
            "the trust root that every department gets",
        ),
        (f"{papers / 'operations-root.pem'}", "请导入浏览器", "import this into the browser"),
        (f"{papers / 'office.pem'}", "税务局证书，供登录程序核对", "the tax office's certificate, to pin"),
        (f"{city.offline_root}", "根密钥持有人离线保管", "the root holders take this away, offline"),
        (f"{city.officer_pins}", "官员自己记住的 PIN", "what the officers know by heart"),
    ]
    return [("页面 Pages", pages), ("公开文件 Public files", public), ("文件 Files", files)]


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
