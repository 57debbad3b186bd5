//! Round trips to the database: before the model's request, and after its last token. Those that
//! travel together count as one.

use anyhow::Result;

use crate::{
    client::{Connection, question},
    process::Process,
    stage::{Stage, Way},
    table::Table,
};

pub const UNIT: &str = "before / after";

pub async fn measure(stage: &Stage, table: &mut Table) -> Result<()> {
    let mut row = |what: &str, trips: [f64; 2]| {
        table.row(format!("round trips: {what}"), UNIT, &trips);
    };
    let chat = stage.start("chat", Way::Counted).await?;
    let mut reader = Connection::open(chat.port).await?;
    let first = reader.ask(&question(None, None, "")).await?.ok()?;
    let session = first.session();
    let key = "idempotency-key: 8b0f2f3c\r\n";
    let turns = [
        ("new session", question(None, None, "")),
        ("existing session", question(session, None, "")),
        ("with a passage", question(session, Some("A passage."), "")),
        ("with an idempotency key", question(session, None, key)),
        ("the same key again", question(session, None, key)),
    ];
    for (what, request) in turns {
        row(what, trips(stage, &mut reader, &request, 200).await?);
    }

    let mut limited = stage.environment(Way::Counted);
    limited.retain(|(name, _)| name != "RATE_LIMIT_CONVERSATION_PER_MINUTE");
    limited.push(("RATE_LIMIT_CONVERSATION_PER_MINUTE".into(), "1".into()));
    let chat = Process::start(&stage.program("chat"), &limited).await?;
    let mut reader = Connection::open(chat.port).await?;
    let first = reader.ask(&question(None, None, "")).await?.ok()?;
    let again = question(first.session(), None, "");
    let refused = trips(stage, &mut reader, &again, 429).await?;
    row("refused by a limit", refused);
    let refused = trips(stage, &mut reader, &again, 429).await?;
    row("refused again", refused);

    for (what, way) in [
        ("first of a cold process", Way::Counted),
        ("the same, over TLS", Way::FarTls),
        ("the same, over sslnegotiation=direct", Way::FarDirectTls),
    ] {
        // Counted from the start of the process, which may connect before it is asked.
        let before = stage.flights();
        let chat = stage.start("chat", way).await?;
        let mut reader = Connection::open(chat.port).await?;
        reader.ask(&question(None, None, "")).await?.ok()?;
        row(what, split(stage, before, true));
    }
    Ok(())
}

/// The round trips of one request.
pub async fn trips(
    stage: &Stage,
    reader: &mut Connection,
    request: &[u8],
    status: u16,
) -> Result<[f64; 2]> {
    let (before, asked) = (stage.flights(), stage.model.asked());
    let reply = reader.ask(request).await?;
    anyhow::ensure!(reply.status == status, "{}: {}", reply.status, reply.body);
    Ok(split(stage, before, stage.model.asked() > asked))
}

/// What was counted since `before`; if the model was not asked, all of it counts as before it.
fn split(stage: &Stage, before: usize, asked: bool) -> [f64; 2] {
    let end = stage.flights();
    let middle = if asked {
        stage.model.flights_when_asked()
    } else {
        end
    };
    [middle - before, end - middle].map(|count| f64::from(u32::try_from(count).unwrap_or(u32::MAX)))
}
