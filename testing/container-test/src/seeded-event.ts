/** The event of `deploy/directus/seed.sql`. */
export const seededEventId = '5f1d6a3e-0b0c-4c53-9d7e-2a61c8f0e5a1';
