import { readFileSync, readdirSync } from "node:fs";
import { URL } from "node:url";

import { useWords } from "../../client_static/assets/words/words.js";

const FOLDER = new URL("../../client_static/assets/words/", import.meta.url);

/** The texts of the page by language, from their files. */
export const tables = Object.fromEntries(
  readdirSync(FOLDER)
    .filter((name) => name.endsWith(".json"))
    .map((name) => [name.replace(".json", ""), JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"))]),
);

useWords("en", tables.en);
