//! What a confirm means: crashes, disks that fail or are full.

mod crash;
mod failing_disk;
mod full_disk;
