//! Many clients of one network at once, which a limit must withstand.

use std::time::{Duration, Instant};

use serde_json::json;

use super::World;

/// 32 clients ask two instances for three seconds: exactly the burst and the pace get through.
pub async fn hot_key(world: World) {
    // One every 100 ms.
    let world = world
        .guarded()
        .with("RATE_LIMIT_NETWORK_PER_MINUTE", 600)
        .with("RATE_LIMIT_NETWORK_PER_DAY", 0);
    let instances = [world.chat().await, world.chat().await];
    let started = Instant::now();
    let clients = (0..32).map(|i| {
        let instance = &instances[i % 2];
        async move {
            let mut admitted = 0;
            while started.elapsed() < Duration::from_secs(3) {
                let address = ("x-vercel-forwarded-for", "203.0.113.7");
                let reply = instance
                    .post_with(&json!({ "message": "hi" }), address)
                    .await;
                match reply.status {
                    200 => admitted += 1,
                    429 => tokio::time::sleep(Duration::from_millis(5)).await,
                    _ => panic!("{reply:?}"),
                }
            }
            admitted
        }
    });
    let admitted: usize = futures_util::future::join_all(clients)
        .await
        .into_iter()
        .sum();
    let paced = usize::try_from(started.elapsed().as_millis() / 100).unwrap();
    // As many as have come due; on a busy machine some may be late.
    assert!(admitted <= 30 + paced, "{admitted} of 30 and {paced}");
    assert!(admitted >= 30, "{admitted} of 30 and {paced}");
    let counted = world.database.rows("select asked from networks").await;
    assert_eq!(counted, [[admitted.to_string()]]);
}
