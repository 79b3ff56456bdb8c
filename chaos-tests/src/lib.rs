//! Real clusters of Guideway, broken on purpose.
