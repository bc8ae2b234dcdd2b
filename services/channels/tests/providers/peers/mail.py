"""A mail server on aiosmtpd: what arrives is told on stdout, a JSON object a line.

The recipient chooses the answer: 550-5.1.1@anywhere is answered "550 5.1.1" to RCPT, 452-4.2.2-data@anywhere to the end of the data;
without the enhanced code it is 550@anywhere. Everybody else's mail is taken. The argument --plain leaves SMTPUTF8 out. With --tls (from
the first byte) or --starttls, before a certificate and its key, nobody may write but the user "shop" with the password "sesame".
"""
import asyncio
import json
import re
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def answer(address, late):
    words = re.fullmatch(r"(\d{3})(?:-(\d\.\d+\.\d+))?(-data)?@.*", address)
    if words and bool(words[3]) == late:
        return f"{words[1]} {words[2] + ' ' if words[2] else ''}as you asked"


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if said := answer(address, False):
            return said
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        if said := answer(envelope.rcpt_tos[0], True):
            return said
        connection = server.transport
        print(json.dumps({"event": "mail", "from": envelope.mail_from, "to": envelope.rcpt_tos, "smtputf8": envelope.smtp_utf8,
                          "data": envelope.original_content.hex(), "authenticated": session.authenticated,
                          "encrypted": connection.get_extra_info("sslcontext") is not None,
                          "connection": connection.get_extra_info("peername")[1]}), flush=True)
        return "250 2.0.0 taken"


def known(server, session, envelope, mechanism, data):
    # Whoever is not known is told so by the library.
    return AuthResult(success=(data.login, data.password) == (b"shop", b"sesame"), handled=False)


async def main():
    loop = asyncio.get_running_loop()
    options, wrapper = {"enable_SMTPUTF8": "--plain" not in sys.argv}, None
    if how := {"--tls", "--starttls"} & set(sys.argv):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*sys.argv[-2:])
        # The library takes a connection that was encrypted from the first byte for one that is not.
        options |= {"authenticator": known, "auth_required": True, "auth_require_tls": False}
        if "--tls" in how:
            wrapper = context
        else:
            options |= {"tls_context": context, "require_starttls": True}
    server = await loop.create_server(lambda: SMTP(Handler(), **options), "127.0.0.1", 0, ssl=wrapper)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


asyncio.run(main())
