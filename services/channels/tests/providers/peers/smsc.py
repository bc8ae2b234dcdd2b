"""A message centre on smpplib's codec: what arrives is told on stdout, a JSON object a line; what it is to do comes by stdin.

The last four digits of the number choose what happens to a message, so that tests stay declarative:
    9NNN  command_status NNN (decimal)    8001 no answer        8002 the connection ends     8003 an answer without an id's end
    8004  an answer after 300 ms          8005 throttled at first, taken later              8006 the answer comes last
    8007  refused from the second part on                  8008 a generic_nack that names no error
    8009  an error with a body that cannot be read          8010 an answer after 800 ms      8011 an answer after 2.5 s
    7001  UNDELIV receipt                 7002 the receipt comes before the answer          7003 a receipt without its parameters
    7004  no receipt
"""
import asyncio
import json
import ssl
import struct
import sys

from smpplib import consts, smpp


class Client:
    sequence = 0

    def next_sequence(self):
        self.sequence += 1
        return self.sequence


def tell(**what):
    print(json.dumps(what), flush=True)


class Centre:
    def __init__(self):
        self.links, self.count, self.seen, self.flying, self.most, self.deaf = {}, 0, {}, 0, 0, False

    async def serve(self, reader, writer):
        client = Client()
        self.links[writer] = client
        try:
            while True:
                head = await reader.readexactly(4)
                data = head + await reader.readexactly(struct.unpack(">L", head)[0] - 4)
                await self.take(smpp.parse_pdu(data, client=client, allow_unknown_opt_params=True), client, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.links.pop(writer, None)
            tell(event="closed")
            writer.close()

    def send(self, writer, client, name, sequence=None, status=0, **fields):
        pdu = smpp.make_pdu(name, client=client, **fields)
        pdu.sequence = client.next_sequence() if sequence is None else sequence
        pdu.status = status
        writer.write(pdu.generate())

    async def take(self, pdu, client, writer):
        if pdu.command == "bind_transceiver":
            good = pdu.password == b"secret"
            tell(event="bind", system_id=pdu.system_id.decode(), version=pdu.interface_version, good=good)
            status = 0 if good else consts.SMPP_ESME_RINVPASWD
            self.send(writer, client, "bind_transceiver_resp", pdu.sequence, status, system_id="CENTRE")
        elif pdu.command == "submit_sm":
            asyncio.ensure_future(self.submit(pdu, client, writer))
        elif pdu.command == "enquire_link":
            tell(event="enquire_link")
            if self.deaf:
                return
            self.send(writer, client, "enquire_link_resp", pdu.sequence)
        elif pdu.command == "unbind":
            tell(event="unbind")
            self.send(writer, client, "unbind_resp", pdu.sequence)
        else:
            tell(event=pdu.command, status=pdu.status, sequence=pdu.sequence)
        await writer.drain()

    async def submit(self, pdu, client, writer):
        to = pdu.destination_addr.decode()
        self.flying += 1
        self.most = max(self.most, self.flying)
        self.seen[to] = self.seen.get(to, 0) + 1
        tell(event="submit", to=to, source=pdu.source_addr.decode(), source_ton=pdu.source_addr_ton, source_npi=pdu.source_addr_npi,
             to_ton=pdu.dest_addr_ton, to_npi=pdu.dest_addr_npi, esm_class=pdu.esm_class, coding=pdu.data_coding,
             validity=pdu.validity_period.decode(), registered=pdu.registered_delivery, text=(pdu.short_message or b"").hex(),
             payload=(getattr(pdu, "message_payload", None) or b"").hex(), most=self.most)
        what = to[-4:]
        if what == "8004":
            await asyncio.sleep(0.3)
        elif what == "8006":
            await asyncio.sleep(0.1)
        elif what == "8010":
            await asyncio.sleep(0.8)
        elif what == "8011":
            await asyncio.sleep(2.5)
        self.flying -= 1
        if what == "8001":
            return
        if what == "8002":
            writer.close()
            return
        if what == "8003":
            writer.write(struct.pack(">LLLL", 18, 0x80000004, 0, pdu.sequence) + b"ab")
            return
        if what == "8008":
            writer.write(struct.pack(">LLLL", 16, 0x80000000, 0, pdu.sequence))
            return
        if what == "8009":
            writer.write(struct.pack(">LLLL", 18, 0x80000004, consts.SMPP_ESME_RINVDSTADR, pdu.sequence) + b"ab")
            return
        status = int(what[1:]) if what[0] == "9" else 0
        if what == "8005" and self.seen[to] == 2:
            status = consts.SMPP_ESME_RTHROTTLED
        if what == "8007" and self.seen[to] == 2:
            status = consts.SMPP_ESME_RSUBMITFAIL
        if status:
            writer.write(struct.pack(">LLLL", 16, 0x80000004, status, pdu.sequence))
            return
        self.count += 1
        message_id = f"{self.count:08X}"
        if what == "7002":
            self.receipt(writer, client, message_id, what, pdu)
            await asyncio.sleep(0.05)
        self.send(writer, client, "submit_sm_resp", pdu.sequence, message_id=message_id)
        await writer.drain()
        if pdu.registered_delivery & 1 and what not in ("7002", "7004"):
            await asyncio.sleep(0.02)
            self.receipt(writer, client, message_id, what, pdu)

    def receipt(self, writer, client, message_id, what, pdu):
        state, word, error = (5, "UNDELIV", "001") if what == "7001" else (2, "DELIVRD", "000")
        text = f"id:{message_id} sub:001 dlvrd:001 submit date:2611271200 done date:2611271201 stat:{word} err:{error} text:"
        more = {} if what == "7003" else {"receipted_message_id": message_id, "message_state": state}
        self.deliver(writer, client, pdu.destination_addr.decode(), text.encode(), 4, **more)

    def deliver(self, writer, client, source, text, esm_class, coding=0, **more):
        self.send(writer, client, "deliver_sm", source_addr_ton=1, source_addr_npi=1, source_addr=source, dest_addr_ton=5,
                  dest_addr_npi=0, destination_addr="Shop", esm_class=esm_class, data_coding=coding, short_message=text, **more)

    async def obey(self):
        reader = asyncio.StreamReader()
        await asyncio.get_event_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            order = json.loads(line)
            if order["do"] == "ignore_enquiries":
                self.deaf = True
            for writer, client in list(self.links.items()):
                if order["do"] == "cut":
                    writer.close()
                elif order["do"] == "unbind":
                    self.send(writer, client, "unbind")
                elif order["do"] == "enquire":
                    self.send(writer, client, "enquire_link")
                elif order["do"] == "raw":
                    writer.write(bytes.fromhex(order["bytes"]))
                elif order["do"] == "say":
                    self.deliver(writer, client, order["from"], bytes.fromhex(order["text"]), order.get("esm_class", 0), order.get("coding", 0))


async def main():
    centre = Centre()
    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = await asyncio.start_server(centre.serve, "127.0.0.1", 0, ssl=context)
    tell(port=server.sockets[0].getsockname()[1])
    await centre.obey()


asyncio.run(main())
