//! The function `feedback`: see [`textbook_chat::feedback`].

use textbook_chat::{feedback, function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    function::run(&feedback::ROUTE).await
}
