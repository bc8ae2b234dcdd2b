"""A mail server on aiosmtpd: what arrives is told on stdout, a JSON object a line.

The recipient chooses the answer: 550-5.1.1@anywhere is answered "550 5.1.1" to RCPT, 452-4.2.2-data@anywhere to the end of the data;
without the enhanced code it is 550@anywhere. Everybody else's mail is taken. The argument --plain leaves SMTPUTF8 out.
"""
import asyncio
import json
import re
import sys

from aiosmtpd.smtp import SMTP


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
        print(json.dumps({"event": "mail", "from": envelope.mail_from, "to": envelope.rcpt_tos, "smtputf8": envelope.smtp_utf8,
                          "data": envelope.original_content.hex()}), flush=True)
        return "250 2.0.0 taken"


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), enable_SMTPUTF8="--plain" not in sys.argv), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


asyncio.run(main())
