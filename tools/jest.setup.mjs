// Nest 12 is ESM with import cycles; loading it first keeps Jest from asking for it with require() in the middle of a cycle.
import 'reflect-metadata';
import '@nestjs/common';
import '@nestjs/core';
import '@nestjs/websockets';
import '@nestjs/platform-fastify';
