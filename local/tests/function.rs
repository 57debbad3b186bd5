//! One function's process, from its start to each of its ends.

mod stub;

use std::{
    env,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use local::function::{Environment, Function};
use tokio::time::sleep;

async fn spawn(variables: &[(&str, &str)]) -> Result<Function> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = Environment::Only(variables.collect());
    let binary = stub::folder()?.join(stub::NAME);
    Function::spawn(
        &binary,
        &environment,
        &env::temp_dir(),
        Arc::new(|_: &str| ()),
    )
    .await
}

fn is_running(pid: i32) -> bool {
    let ps = Command::new("ps").args(["-p", &pid.to_string()]).output();
    ps.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn a_function_that_does_not_start_says_why() {
    let error = spawn(&[("STUB_REFUSES", "1")]).await.map(drop).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("the stub refuses to start"), "{error}");
}

#[tokio::test]
async fn a_function_ends_when_it_is_asked_to() -> Result<()> {
    let function = spawn(&[]).await?;
    let pid = function.pid();
    assert!(is_running(pid));
    function.terminate(Duration::from_secs(5)).await?;
    assert!(!is_running(pid));
    Ok(())
}

#[tokio::test]
async fn a_function_ends_when_it_is_dropped() -> Result<()> {
    let function = spawn(&[]).await?;
    let (pid, since) = (function.pid(), Instant::now());
    drop(function);
    while is_running(pid) {
        assert!(since.elapsed() < Duration::from_secs(5), "it still runs");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
