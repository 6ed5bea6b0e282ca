"""Addresses that no click may lead to: of another kind, misshapen, or of a machine that is not public."""

from __future__ import annotations

SCHEMES = [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)",
    "\x01javascript:alert(1)", " javascript:alert(1)", "javascript://a.example/%0aalert(1)", "data:text/html,x",
    "vbscript:x", "file:///etc/passwd", "blob:https://x", "view-source:https://x.example/", "intent://x", "about:blank",
    "ftp://x.example/", "ftp://a.example/", "//evil.example", "/\\evil.example", "", "https://", "https:", "http:///",
    "https:a.example", "https:/a.example", "https:///evil.example/", "http\u017f://a.example/", "\uff48ttps://a.example/",
    "ws://a.example/", "https//a.example/", "a.example/", "https ://a.example/",
]  # fmt: skip
SHAPES = [
    "https://bank.example@evil.example/", "https://user:pw@host.example/", "https://user:pw@host/", "https://@a.example/",
    "https://a.example:99999/", "https://a.example:0/", "https://a.example:80abc/", "https://a.example:/",
    "https://a.example:-1/", "https://a.example:\u0661/", "https://a.example:80:80/", "https://a.example:000080/",
    "https://[good.example]/", "https://[::1/", "https://::1]/", "https://[2606:4700::1111]x/", "https://[]/",
    "https://[2606:4700::1111%25eth0]/", "https://a\0.example/", "https://a.example/\x00", "https://a.example/\x7f",
    "https://good.example\\@evil.example/", "https://a.example/\\evil", "https://a.example/a b", "https://a.example/\u00a0",
    "https://a.example/\x85", "https://a.example/\u2028", "https://a.example/\ud800", "https://a.example/#\u200b",
    "https://a.example/\u202egnp.exe", "https://a.example/?\u2066x", "https://a.exa\u202emple/", "https://a.example/\ufeff",
    "https://a.example/\r\nSet-Cookie: x=1", "https://a.example/\n", "https://a.example/\r", "\thttps://a.example/",
    "https://" + "a" * 64 + ".example/", "https://" + "\u00fc" * 60 + ".example/", "https://" + "a." * 130 + "example/",
    "https://a..example/", "https://.a.example/", "https://a.example../", "https://-a.example/", "https://a-.example/",
    "https://%61.example/", "https://a%00.example/", "https://a.ex\u2100mple/", "https://xn--abc-.example/",
    "https://xn--a.example/", "https://a.example/" + "x" * 5000, "https://a.example/" + "\u00e4" * 1000,
    "https://{site}.evil.example/", "https://{site}/", "{site}://a.example/", "https://a.example:{random}/",
    "https://a\".example/", "https://a<b.example/", "https://a|b.example/", "https://a'b.example/", "https://a,b.example/",
]  # fmt: skip
LOCAL = [
    "http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://0x7f000001/", "http://0x7f.1/", "http://2130706433/",
    "http://0177.0.0.1/", "http://017700000001/", "http://00000127.0.0.1/", "http://127.0.0.1./", "http://0/", "http://0x/",
    "http://0.0.0.0/", "http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::8.8.8.8]/",
    "http://[64:ff9b:1::a00:1]/", "http://[2002:7f00:1::]/", "http://[2001:0:7f00:1::]/", "http://[fe80::1]/",
    "http://[fec0::1]/", "http://[fc00::1]/", "http://[fd12::1]/", "http://[ff02::1]/", "http://[2001:db8::1]/",
    "http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.1.1/", "http://169.254.169.254/",
    "http://100.64.0.1/", "http://100.100.100.200/", "http://192.0.2.1/", "http://198.18.0.1/", "http://203.0.113.1/",
    "http://224.0.0.1/", "http://240.0.0.1/", "http://255.255.255.255/", "http://256.256.256.256/", "http://1.2.3/",
    "http://\uff11\uff12\uff17.0.0.1/", "http://127\u30020\u30020\u30021/", "http://\u2460\u2461\u2466.0.0.1/",
    "http://0x8.8.8.8/", "http://134744072/", "http://8.8.8.08/", "http://a.example.127/", "http://a.0xff/",
    "http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://x.localhost/", "http://\uff4cocalhost/",
    "http://printer.local/", "http://x.local./", "http://db.internal/", "http://metadata.google.internal/",
    "http://metadata/", "http://intranet/", "http://com/", "http://router.lan/", "http://nas.home.arpa/", "http://home.arpa/",
]  # fmt: skip
BAD_URLS = SCHEMES + SHAPES + LOCAL
