"""Makes wechatpy-fixture.json: callbacks signed and encrypted by an implementation that isn't ours.

    python3 -m venv venv && venv/bin/pip install wechatpy cryptography
    venv/bin/python packages/wecom/test/make-wechatpy-fixture.py
"""

import json
import re
from pathlib import Path

import wechatpy
from wechatpy.enterprise.crypto import WeChatCrypto

TOKEN = "fixture-token"
# Its last character carries bits beyond the 32 bytes, as WeCom's own sample does.
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
CORP_ID = "ww0123456789abcdef"

crypto = WeChatCrypto(TOKEN, AES_KEY, CORP_ID)


def notification(token):
    return (
        f"<xml><ToUserName><![CDATA[{CORP_ID}]]></ToUserName><CreateTime>1700000000</CreateTime>"
        "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[kf_msg_or_event]]></Event>"
        f"<Token><![CDATA[{token}]]></Token><OpenKfId><![CDATA[wkFixture]]></OpenKfId></xml>"
    )


def sealed(message, number):
    nonce, timestamp = f"nonce{number}", str(1700000000 + number)
    xml = crypto.encrypt_message(message, nonce, timestamp)
    [encrypted] = re.findall(r"<Encrypt><!\[CDATA\[(.*?)\]\]>", xml)
    [signature] = re.findall(r"<MsgSignature><!\[CDATA\[(.*?)\]\]>", xml)
    assert crypto.decrypt_message(xml, signature, timestamp, nonce) == message
    return {
        "message": message,
        "signature": signature,
        "timestamp": timestamp,
        "nonce": nonce,
        "encrypted": encrypted,
    }


# Every length of padding, and characters of more than one byte.
messages = [notification("t" * n) for n in range(32)] + ["", "1234567890123456", "小龙虾 🦞"]
fixture = {
    "madeBy": f"wechatpy {wechatpy.__version__}",
    "settings": {"token": TOKEN, "encodingAesKey": AES_KEY, "receiveId": CORP_ID},
    "callbacks": [sealed(message, number) for number, message in enumerate(messages)],
}
path = Path(__file__).with_name("wechatpy-fixture.json")
path.write_text(json.dumps(fixture, ensure_ascii=False, indent=2) + "\n")
