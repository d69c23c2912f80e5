// Reads decision tables from standard input and answers with the first row whose cells feelin finds true.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.env.FEELIN_FROM + "/"));
const { evaluate, unaryTest } = await import(pathToFileURL(require.resolve("feelin")));
const plain = (found) => (found && Object.hasOwn(found, "value") ? found.value : found);

const holds = (cell, name, row) =>
  cell === "-" || plain(unaryTest(cell, { ...row, "?": plain(evaluate(name, row)) })) === true;

const tables = JSON.parse(readFileSync(0, "utf8"));
const first = ({ names, rules }, row) => rules.findIndex((cells) => names.every((name, at) => holds(cells[at], name, row)));
console.log(JSON.stringify(tables.map((table) => table.rows.map((row) => first(table, row)))));
