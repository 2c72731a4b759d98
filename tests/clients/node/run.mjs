import { round } from "./made/round.js";

console.log(JSON.stringify(await round(process.argv[2], JSON.parse(process.argv[3]))));
