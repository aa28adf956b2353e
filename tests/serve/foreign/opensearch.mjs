// What any program does, with @opensearch-project/opensearch.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [task, packages] = [JSON.parse(readFileSync(process.argv[2])), process.argv[3]];
const { Client } = createRequire(packages)("@opensearch-project/opensearch");
const { index, query, documents } = task;
const client = new Client({ node: task.url });
const ids = (found) => found.body.hits.hits.map((hit) => hit._id);
const said = {};

await client.index({ index, id: "one", body: documents[0], refresh: true });
const bulk = await client.helpers.bulk({
  datasource: documents,
  onDocument: (document) => [{ index: { _index: index, _id: document.name } }, document],
  refreshOnCompletion: true,
});
said.bulk = [bulk.successful, bulk.failed];
said.searched = ids(await client.search({ index, body: { query } }));
said.paged = [];
for (let from = 0; from < task.k; from += 3)
  said.paged.push(...ids(await client.search({ index, from, size: 3, body: { query } })));
said.scrolled = [];
for await (const page of client.helpers.scrollSearch({ index, size: 3, body: { query } }))
  said.scrolled.push(...page.body.hits.hits.map((hit) => hit._id));
said.counted = (await client.count({ index, body: { query } })).body.count;
try {
  await client.search({ index, body: { query: { meta4_similar: { nothing: { id: "x" } } } } });
} catch (error) {
  said.error = [error.statusCode, error.body.error.type];
}
await client.close();
console.log(JSON.stringify(said));
