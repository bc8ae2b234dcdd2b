// Reads schemas/asyncapi.yaml, with the Avro schemas that it names, by AsyncAPI's own parser. Exits with 1 on any error or warning.
//
// `asyncapi.sh` puts it beside the parser.
import { fromFile, Parser } from "@asyncapi/parser";
import { AvroSchemaParser } from "@asyncapi/avro-schema-parser";

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await fromFile(parser, process.argv[2]).parse();
// 0 is an error, 1 a warning; what is below gives advice.
const findings = diagnostics.filter(({ severity }) => severity < 2);
for (const { message, path } of findings) console.log(`${path.join(".")}: ${message}`);
if (!document || findings.length > 0) process.exit(1);
console.log(document.allChannels().all().map((channel) => channel.address()).join("\n"));
