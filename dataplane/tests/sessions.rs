//! Which endpoint a session goes to while tables change, what is remembered for that, and how sessions look from outside.

#[path = "bed/bed.rs"]
mod bed;

#[path = "sessions/affinity.rs"]
mod affinity;
#[path = "sessions/inspection.rs"]
mod inspection;
#[path = "sessions/pins.rs"]
mod pins;
#[path = "sessions/redispatch.rs"]
mod redispatch;
#[path = "sessions/scene.rs"]
mod scene;
#[path = "sessions/walk.rs"]
mod walk;
