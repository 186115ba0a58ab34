require('./run.js')('post', 'cache');
