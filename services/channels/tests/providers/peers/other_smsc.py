"""A message centre that is smpp34's server whole: its session, its codec. Takes everything, and sends a receipt for each."""
import asyncio
import json
import socket

import smpp34


async def main():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = smpp34.Server(host="127.0.0.1", port=port, system_id="OTHER")
    await server.start()
    print(json.dumps({"port": port}), flush=True)
    sessions, count = {}, 0
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            sessions[event.session_id] = event
        elif isinstance(event, smpp34.SubmitSmEvent):
            count += 1
            event.accept(message_id=str(count))
            print(json.dumps({"event": "submit", "to": event.destination_addr, "text": event.short_message.hex()}), flush=True)
            # The id in hexadecimal, as some centres do, in parameters alone.
            tlvs = [smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, f"{count:x}".encode() + b"\0"),
                    smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, bytes([2]))]
            answer = await sessions[event.session_id].deliver_sm(
                source_addr=event.destination_addr, destination_addr=event.source_addr, esm_class=4, tlvs=tlvs)
            print(json.dumps({"event": "deliver_sm_resp", "status": answer.command_status}), flush=True)


asyncio.run(main())
