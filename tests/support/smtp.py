"""A real SMTP server (aiosmtpd) for the tests.

One argument: the options as JSON. Says what happens as JSON lines on standard
output: {"listening": port}, {"mail": {...}}, {"ok": true}. A line on standard
input replaces what is refused; its end ends the server, so that it never
outlives the test.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(event):
    print(json.dumps(event), flush=True)


class Handler:
    def __init__(self, refuse):
        self.refuse = refuse
        self.taken = 0

    async def handle_MAIL(self, server, session, envelope, address, options):
        if "MAIL" in self.refuse:
            return self.refuse["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        refusal = self.refuse.get("DATA")
        if refusal == "hang":
            await asyncio.Event().wait()
        if refusal:
            return refusal
        self.taken += 1
        auth = session.auth_data
        say({"mail": {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "data": envelope.original_content.decode("latin-1"),
            "user": auth.decode() if isinstance(auth, bytes) else None,
        }})
        return f"250 2.0.0 queued as {self.taken}"


def server_of(options, handler, context):
    arguments = {"hostname": "mail.test", "enable_SMTPUTF8": True, "timeout": 30}
    if options.get("user"):
        def check(server, session, envelope, mechanism, data):
            good = (data.login.decode(), data.password.decode())
            if good == (options["user"], options["password"]):
                return AuthResult(success=True, auth_data=data.login)
            return AuthResult(success=False, handled=False)

        arguments |= {
            "authenticator": check,
            "auth_required": True,
            "auth_require_tls": options.get("login_wants_tls", False),
        }
    if options["tls"] == "starttls":
        arguments["tls_context"] = context
        arguments["require_starttls"] = True
    return SMTP(handler, **arguments)


async def main():
    options = json.loads(sys.argv[1])
    handler = Handler(options.get("refuse") or {})
    context = None
    if options["tls"] != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options["cert"], options["key"])
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: server_of(options, handler, context),
        "127.0.0.1",
        options.get("port") or 0,
        ssl=context if options["tls"] == "tls" else None,
    )
    say({"listening": listener.sockets[0].getsockname()[1]})
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        handler.refuse = json.loads(line)
        say({"ok": True})


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), 600))
    except (KeyboardInterrupt, asyncio.TimeoutError):
        pass
