import { Hono } from "hono";
import { and, client, graphql, gte, lte, sql } from "ponder";
import { db } from "ponder:api";
import schema from "ponder:schema";

const app = new Hono();

app.use("/", graphql({ db, schema }));
app.use("/graphql", graphql({ db, schema }));
app.use("/sql/*", client({ db, schema }));

/** All of a market at one moment, in one statement, for the check against the chain. */
app.get("/state/:vault", async (c) => {
  const vault = c.req.param("vault").toLowerCase();
  const { rows } = await db.execute(sql`
    SELECT record, block_hash AS "blockHash",
      (SELECT coalesce(json_agg(json_build_array(p.owner, p.sub::text, p.node::text, p.shares::text, n.node::text,
          n.tick, n.debt::text, n.collateral::text, n.surplus::text)), '[]')
        FROM ${schema.position} p JOIN ${schema.positionNow} n USING (market, owner, sub) WHERE p.market = m.vault) AS positions,
      (SELECT coalesce(json_agg(json_build_array(t.tick, t.node::text, t.positions, t.debt::text)), '[]')
        FROM ${schema.tickNow} t WHERE t.market = m.vault) AS ticks,
      (SELECT coalesce(json_agg(json_build_array(l.account, l.shares::text)), '[]')
        FROM ${schema.lender} l WHERE l.market = m.vault) AS lenders
    FROM ${schema.market} m WHERE vault = ${vault}`);
  return rows.length === 0 ? c.json({ error: `no market at ${vault}` }, 404) : c.json(rows[0]);
});

const MOST_LOGS = 5_000;

/** The logs of the markets' events from one block to another, or up to `until`: of whole blocks. */
app.get("/logs", async (c) => {
  const [from, to] = ["from", "to"].map((name) => Number(c.req.query(name) ?? NaN)) as [number, number];
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to))
    return c.json({ error: "from and to must be numbers of blocks" }, 400);
  const { log } = schema;
  const rows = await db
    .select()
    .from(log)
    .where(and(gte(log.block, from), lte(log.block, to)))
    .orderBy(log.block, log.logIndex)
    .limit(MOST_LOGS + 1);
  const until = rows.length > MOST_LOGS ? rows.at(-1)!.block - 1 : to;
  return c.json({ logs: rows.filter(({ block }) => block <= until), until });
});

export default app;
