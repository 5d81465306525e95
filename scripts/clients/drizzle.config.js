module.exports = { dialect: 'postgresql', out: './drizzle', schemaFilter: ['sales', 'public'], dbCredentials: { url: process.env.DATABASE_URL } };
