//! What runs the services: observing deployments, keeping images, putting a revision back.
