// Bench: the database itself, to count what is done in it.
import type mongoose from 'mongoose';

export type Database = mongoose.mongo.Db;
